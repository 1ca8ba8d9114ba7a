/** What the person and the agent said, one line a turn, changing while they speak. */

const MAX_TURNS = 200; // older ones leave the page

function clock(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

/** Cut a text at the words that have times: return its pieces, and the words with the elements they are in. */
function split(text, words) {
  const [pieces, timed] = [[], []];
  let at = 0;
  for (const { word, ...times } of words) {
    const bare = word.trim();
    const found = text.toLowerCase().indexOf(bare.toLowerCase(), at);
    if (bare === "" || found < 0) continue; // the text is spelt in another way
    const made = element("span", "word", text.slice(found, found + bare.length));
    pieces.push(text.slice(at, found), made);
    timed.push({ ...times, element: made });
    at = found + bare.length;
  }
  return [[...pieces, text.slice(at)], timed];
}

export class Captions {
  /**
   * @param {HTMLElement} list an `ol`; each turn becomes an item of it
   * @param {(startMs: number) => void} onPick somebody wants to hear a turn again
   */
  constructor(list, onPick) {
    this.list = list;
    this.onPick = onPick;
    this.turns = new Map(); // item id -> elements
  }

  clear() {
    this.turns.clear();
    this.list.replaceChildren();
  }

  start(itemId, startMs) {
    const turn = this.#turn(itemId);
    turn.startMs = startMs;
    turn.time.textContent = clock(startMs);
    turn.time.setAttribute("aria-label", `${clock(startMs)}, play this turn`);
  }

  /** The best guess so far, up to `endMs`. */
  partial(itemId, text, endMs) {
    const turn = this.#turn(itemId);
    turn.text.textContent = text;
    turn.time.title = `until ${clock(endMs)}`;
  }

  /**
   * The truth about a turn; a turn without words is taken away.
   *
   * @param {{word: string, start_ms: number, end_ms: number}[]} words with their times, where they are known
   */
  final(itemId, text, words) {
    const turn = this.#turn(itemId);
    if (text.trim() === "") {
      this.#remove(itemId);
      return;
    }
    const [pieces, timed] = split(text.trim(), words);
    turn.words = timed;
    turn.text.replaceChildren(...pieces);
    this.#settle(turn);
  }

  end(itemId, endMs) {
    this.#turn(itemId).endMs = endMs;
  }

  /** Show which turn, and which word, is heard at a moment. */
  follow(ms) {
    for (const { item, startMs, endMs, words = [] } of this.turns.values()) {
      item.classList.toggle("now", startMs <= ms && ms < endMs);
      for (const word of words) word.element.classList.toggle("now", word.start_ms <= ms && ms < word.end_ms);
    }
  }

  failed(itemId, message) {
    const turn = this.#turn(itemId);
    turn.text.textContent = `(not recognised: ${message})`;
    this.#settle(turn);
  }

  /** The agent begins to say something; it is there to be read, and not read out over its own voice. */
  agentStarts(itemId, startMs) {
    this.start(itemId, startMs);
    const { item, text } = this.#turn(itemId);
    item.classList.replace("partial", "agent");
    item.setAttribute("aria-live", "off");
    text.textContent = "";
  }

  agentSays(itemId, words) {
    const { text } = this.#turn(itemId);
    text.textContent = `${text.textContent} ${words.trim()}`.trim();
    this.#follow();
  }

  /** Of what the agent said, this much was heard. */
  agentStopped(itemId, heard) {
    if (this.turns.has(itemId)) this.#turn(itemId).text.textContent = `${heard.trim()} …`;
  }

  /** Nothing more comes for the turns that are open, and their names may be used again. */
  closeAll() {
    for (const turn of this.turns.values()) this.#settle(turn);
    this.turns = new Map([...this.turns].map(([itemId, turn]) => [Symbol(itemId), turn]));
  }

  /** Add a small remark on a turn, such as why it ended. */
  note(itemId, text) {
    const turn = this.turns.get(itemId);
    turn?.notes.append(element("span", "note", text));
  }

  #turn(itemId) {
    return this.turns.get(itemId) ?? this.#add(itemId);
  }

  #add(itemId) {
    const item = element("li", "turn partial");
    item.setAttribute("aria-busy", "true"); // screen readers wait for the final text
    const turn = {
      item,
      time: element("button", "turn-time", "–"),
      text: element("p", "turn-text", "…"),
      notes: element("p", "turn-notes"),
    };
    turn.time.type = "button";
    turn.time.onclick = () => this.onPick(turn.startMs ?? 0);
    item.append(turn.time, turn.text, turn.notes);
    this.list.append(item);
    this.turns.set(itemId, turn);
    if (this.turns.size > MAX_TURNS) this.#remove(this.turns.keys().next().value);
    this.#follow();
    return turn;
  }

  #settle(turn) {
    turn.item.classList.remove("partial");
    turn.item.removeAttribute("aria-busy");
    this.#follow();
  }

  #follow() {
    this.list.scrollTop = this.list.scrollHeight;
  }

  #remove(itemId) {
    this.turns.get(itemId)?.item.remove();
    this.turns.delete(itemId);
  }
}

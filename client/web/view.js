/** What the page shows beside the captions: state, figures, meters, messages and the list of events. */

const FLOOR_DBFS = -90;
const MAX_EVENTS = 200; // lines on the page; all of them are in the file that can be saved

/** Return what is worth a line about an event, or null for those that come all the time. */
export function describe(event) {
  switch (event.type) {
    case "duplex.aec.stats":
    case "duplex.ack":
    case "duplex.pong":
    case "conversation.item.input_audio_transcription.delta":
      return null;
    case "error":
      return `${event.error.code}: ${event.error.message}`;
    case "input_audio_buffer.speech_started":
      return event.duplex.during_playback ? "over the agent" : "agent silent";
    case "input_audio_buffer.speech_stopped":
      return endpoint(event.duplex);
    case "duplex.barge_in":
      return `${event.stage} after ${Math.round(event.audio_ms)} ms of speech`;
    case "duplex.reference":
      return [event.state, event.message].filter(Boolean).join(": ");
    case "duplex.gap":
      return `${event.reason}, ${Math.round(event.lost_ms)} ms lost`;
    case "conversation.item.input_audio_transcription.completed":
      return `"${event.transcript.trim()}"`;
    default:
      return "";
  }
}

/** Say why a turn was taken to be over. */
export function endpoint({ reason, silence_ms: silence, p_turn: probability }) {
  const sure = probability == null ? "" : `, p ${probability.toFixed(2)}`;
  return `${reason.replaceAll("_", " ")} after ${Math.round(silence)} ms${sure}`;
}

function rounded(value, unit) {
  return value == null ? "–" : `${Math.round(value)} ${unit}`;
}

export class View {
  constructor() {
    this.eventCount = 0;
  }

  /** Empty what belongs to one session. */
  reset() {
    this.eventCount = 0;
    at("events").replaceChildren();
    at("event-count").textContent = "";
    for (const id of ["delay", "erle", "reference"]) at(id).textContent = "–";
    this.calm();
  }

  /** Show that nothing is heard. */
  calm() {
    this.vad(false);
    this.bargeIn("");
    for (const id of ["mic", "ref", "out"]) this.meter(id, FLOOR_DBFS);
  }

  status(state, text) {
    at("status").dataset.state = state;
    at("status").textContent = text;
  }

  running(running) {
    const [appears, goes] = running ? [at("stop"), at("start")] : [at("start"), at("stop")];
    const focused = document.activeElement === goes;
    goes.hidden = true;
    appears.hidden = false;
    if (focused) appears.focus(); // the keyboard stays where it was
  }

  agent(allowed, enabled) {
    at("agent").textContent = allowed ? "Pause agent" : "Let agent talk";
    at("agent").disabled = !enabled;
  }

  alert(text) {
    show(at("alert"), text);
  }

  warning(text) {
    show(at("warning"), text);
  }

  vad(speaking, overAgent = false) {
    at("vad").dataset.state = speaking ? "speech" : "silence";
    at("vad").textContent = speaking ? (overAgent ? "speech over the agent" : "speech") : "silence";
  }

  bargeIn(text) {
    at("barge-in").textContent = text;
  }

  reference(state) {
    at("reference").textContent = state;
  }

  backends({ asr, vad, turn }) {
    at("backends").textContent = `Recogniser: ${asr}. Speech: ${vad}. Turns: ${turn}.`;
  }

  stats(event) {
    at("delay").textContent = rounded(event.delay_ms, "ms");
    at("erle").textContent = rounded(event.erle_db, "dB");
    this.meter("mic", event.mic_dbfs);
    this.meter("ref", event.ref_dbfs);
    this.meter("out", event.out_dbfs);
  }

  meter(id, dbfs) {
    const level = Math.max(FLOOR_DBFS, Math.min(0, dbfs ?? FLOOR_DBFS));
    at(id).setAttribute("aria-valuenow", String(Math.round(level)));
    at(id).style.setProperty("--level", String(1 - level / FLOOR_DBFS));
  }

  /** Add a line, newest at the end; the list follows unless somebody has scrolled up. */
  event(ms, name, text) {
    const list = at("events");
    const follows = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    const line = document.createElement("li");
    line.title = name;
    line.append(span((ms / 1000).toFixed(2)), span(text ? `${short(name)} · ${text}` : short(name)));
    list.append(line);
    if (list.childElementCount > MAX_EVENTS) list.firstElementChild.remove();
    if (follows) list.scrollTop = list.scrollHeight;
    this.eventCount += 1;
    at("event-count").textContent = `(${this.eventCount})`;
  }
}

/** Names of events without what they have in common, for narrow screens. */
function short(name) {
  return name.replace(/^(duplex|input_audio_buffer|conversation\.item\.input_audio_transcription)\./, "");
}

function at(id) {
  return document.getElementById(id);
}

function span(text) {
  const made = document.createElement("span");
  made.textContent = text;
  return made;
}

function show(element, text) {
  element.textContent = text;
  element.hidden = text === "";
}

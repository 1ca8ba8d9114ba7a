import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { Connection } from "../../../client/web/connection.js";
import { FLAG, unpackFrame } from "../../../client/web/protocol.js";

let sockets, log;

globalThis.WebSocket = class {
  bufferedAmount = 0;
  sent = [];
  constructor(url) {
    this.url = url;
    sockets.push(this);
  }
  send(data) {
    this.sent.push(data);
  }
  close() {}
  get events() {
    return this.sent.filter((data) => typeof data === "string").map((data) => JSON.parse(data));
  }
  get frames() {
    return this.sent.filter((data) => typeof data !== "string").map((data) => unpackFrame(data));
  }
  say(event) {
    this.onmessage({ data: JSON.stringify(event) });
  }
  lose(code, reason = "") {
    this.onclose({ code, reason });
  }
};

const handlers = {
  onReady: (how) => log.push(how),
  onEvent: () => {},
  onAudio: () => {},
  onLost: () => log.push("lost"),
  onClose: (reason) => log.push(reason),
};

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  [sockets, log] = [[], []];
});

const created = (id) => ({ type: "session.created", session: { id, resume_token: `token ${id}`, resumed: false, next_seq: 0 } });
const updated = (resumed, nextSeq) => ({ type: "session.updated", session: { resumed, next_seq: nextSeq } });
const send = (connection, frames) => {
  for (let i = 0; i < frames; i++) connection.sendFrame(new Int16Array(640).fill(connection.seq));
};

/** A connection that has begun, and has sent some frames. */
function begun(frames) {
  const connection = new Connection(new URL("http://localhost/"), 16000, "none", handlers);
  sockets[0].say(created("a"));
  sockets[0].say(updated(false, 0));
  send(connection, frames);
  return connection;
}

test("the session is set up before audio flows", () => {
  const connection = new Connection(new URL("http://localhost/"), 16000, "parrot", handlers);
  sockets[0].say(created("a"));
  assert.equal(connection.ready, false);
  const [{ type, session }] = sockets[0].events;
  assert.equal(type, "session.update");
  assert.deepEqual([session.audio.input.format.rate, session.duplex.agent], [16000, "parrot"]);
  sockets[0].say(updated(false, 0));
  send(connection, 2);
  assert.deepEqual(sockets[0].frames.map(({ seq, micStart, refStart }) => [seq, micStart, refStart]), [[0, 0, 0], [1, 320, 320]]);
  assert.deepEqual(log, ["new"]);
});

test("a lost connection is opened again; what the service lacks is sent once more and the clock goes on", () => {
  const connection = begun(150);
  sockets[0].lose(1006);
  send(connection, 10); // while it is away
  mock.timers.tick(0);
  sockets[1].say(created("b"));
  assert.deepEqual(sockets.map(({ url }) => url), ["ws://localhost/v1/realtime", "ws://localhost/v1/realtime?session=a"]);
  assert.deepEqual(sockets[1].events, [{ type: "duplex.resume", session: "a", token: "token a", next_seq: 60 }]);
  sockets[1].say(updated(true, 147));
  send(connection, 1);
  const { frames } = sockets[1];
  assert.deepEqual(frames.map(({ seq }) => seq), [...Array(14).keys()].map((i) => 147 + i));
  assert.deepEqual(frames.map(({ micStart }) => micStart), frames.map(({ seq }) => 320 * seq));
  assert.ok(frames.slice(0, 13).every(({ flags }) => flags & FLAG.REPLAYED));
  assert.ok(!(frames[13].flags & FLAG.REPLAYED));
  assert.deepEqual(frames.map(({ audio }) => audio[0]), frames.map(({ seq }) => seq));
  assert.deepEqual(log, ["new", "lost", "resumed"]);
});

test("what the lost connection had not delivered is asked for by the last event that came", () => {
  begun(10);
  sockets[0].say({ type: "duplex.ack", event_id: "event_7", next_seq: 10 });
  for (const id of ["event_1", "event_2"]) {
    // The description of a session that gives way to ours counts on its own.
    sockets.at(-1).lose(1006);
    mock.timers.runAll();
    sockets.at(-1).say({ ...created("b"), event_id: id });
    assert.equal(sockets.at(-1).events[0].last_event_id, "event_7");
  }
  sockets.at(-1).say({ ...updated(true, 10), event_id: "event_8" });
  sockets.at(-1).lose(4404);
  mock.timers.runAll();
  sockets.at(-1).say({ ...created("c"), event_id: "event_1" });
  sockets.at(-1).say(updated(false, 0));
  sockets.at(-1).lose(1006);
  mock.timers.runAll();
  sockets.at(-1).say(created("d"));
  assert.deepEqual(sockets.at(-1).events, [{ type: "duplex.resume", session: "c", token: "token c", next_seq: 0 }]);
});

test("of a long loss the last two seconds are kept", () => {
  const connection = begun(10);
  sockets[0].lose(1006);
  send(connection, 500);
  mock.timers.tick(0);
  sockets[1].say(created("b"));
  sockets[1].say(updated(true, 10));
  assert.deepEqual(sockets[1].frames.map(({ seq }) => seq), [...Array(100).keys()].map((i) => 410 + i));
});

test("a service that has forgotten the session gets a new one, on the same clock", () => {
  const connection = begun(10);
  sockets[0].lose(1006);
  mock.timers.tick(0);
  sockets[1].say(created("b"));
  sockets[1].lose(4404);
  mock.timers.tick(250);
  sockets[2].say(created("c"));
  assert.equal(sockets[2].url, "ws://localhost/v1/realtime", "there is nothing to route to any more");
  assert.equal(sockets[2].events[0].type, "session.update");
  sockets[2].say(updated(false, 0));
  send(connection, 1);
  assert.deepEqual(sockets[2].frames.map(({ seq, micStart }) => [seq, micStart]), [[10, 3200]]);
  assert.deepEqual(log, ["new", "lost", "lost", "replaced"]);
  sockets[2].lose(1006);
  mock.timers.tick(0);
  sockets[3].say(created("d"));
  assert.equal(sockets[3].events[0].session, "c");
});

test("a restarting service is waited for, for a minute", () => {
  mock.method(performance, "now", () => now);
  let now = 0;
  begun(1);
  for (let i = 0; !log.at(-1).includes("restarting"); i++) {
    assert.ok(i < 50);
    sockets.at(-1).lose(1012);
    now += 4000;
    mock.timers.tick(4000);
  }
  assert.ok(now >= 60000 && now < 70000, `${now} ms`);
  assert.equal(sockets.length, log.filter((line) => line === "lost").length + 1);
  mock.restoreAll();
});

test("what another try cannot mend ends it, and so does a first connection that fails", () => {
  begun(1);
  sockets[0].lose(4409);
  assert.match(log.at(-1), /another window/);
  new Connection(new URL("http://localhost/"), 16000, "none", handlers);
  sockets[1].lose(1006);
  assert.match(log.at(-1), /was lost/);
});

test("a service that is full says so, and does not say that this device is slow", () => {
  new Connection(new URL("http://localhost/"), 16000, "none", handlers);
  sockets[0].lose(4429, "all 1 sessions are taken; retry_after=5");
  assert.match(log.at(-1), /is full.*all 1 sessions are taken$/);
  begun(1);
  sockets[1].lose(4429, "more than 5 s behind real time");
  assert.match(log.at(-1), /too late/);
});

test("a slow network loses whole frames, and the clock shows it", () => {
  const connection = begun(1);
  sockets[0].bufferedAmount = 40000;
  send(connection, 2);
  sockets[0].bufferedAmount = 0;
  send(connection, 1);
  assert.equal(connection.dropped, 2);
  assert.deepEqual(sockets[0].frames.map(({ seq, micStart }) => [seq, micStart]), [[0, 0], [3, 960]]);
});

test("a replay leaves whole, and so do the frames that queue up behind it", () => {
  const connection = begun(10);
  sockets[0].lose(1006);
  send(connection, 90);
  mock.timers.tick(0);
  const [, socket] = sockets;
  const bare = socket.send;
  socket.send = (data) => {
    bare.call(socket, data);
    socket.bufferedAmount += data.byteLength ?? 0; // nothing leaves before the page has returned
  };
  socket.say(created("b"));
  socket.say(updated(true, 10));
  send(connection, 20);
  assert.deepEqual(socket.frames.map(({ seq }) => seq), [...Array(110).keys()].map((i) => 10 + i));
  assert.equal(connection.dropped, 0);
  send(connection, 100);
  assert.ok(connection.dropped > 80, "a network that takes nothing is still noticed");
  [connection.dropped, socket.bufferedAmount] = [0, 0];
  send(connection, 100);
  assert.ok(connection.dropped > 60, "and the replay allows for nothing any more");
});

test("closed by the page it stays closed", () => {
  const connection = begun(1);
  connection.close();
  assert.equal(sockets[0].onclose, null);
  sockets[0].onclose?.({ code: 1000 });
  mock.timers.tick(10000);
  assert.equal(sockets.length, 1);
});

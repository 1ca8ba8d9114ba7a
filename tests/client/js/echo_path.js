/**
 * Run before the page: gives it a loudspeaker and a microphone that hear each other.
 *
 * What the page plays comes back 120 ms later in the microphone that it opens, at half the level, and a
 * person may talk into it: `speak(base64)` plays a sound file there. The real devices are left alone.
 */
(() => {
  const room = new AudioContext();
  const microphone = room.createMediaStreamDestination();
  const path = new DelayNode(room, { delayTime: 0.12 });
  path.connect(new GainNode(room, { gain: 0.5 })).connect(microphone);

  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode) {
      const loudspeaker = this.context.createMediaStreamDestination();
      connect.call(this, loudspeaker);
      connect.call(room.createMediaStreamSource(loudspeaker.stream), path);
    }
    return connect.call(this, target, ...rest);
  };

  navigator.mediaDevices.getUserMedia = async () => {
    await room.resume();
    return microphone.stream.clone();
  };

  window.speak = async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const sound = await room.decodeAudioData(bytes.buffer);
    const source = new AudioBufferSourceNode(room, { buffer: sound });
    source.connect(microphone);
    source.start();
  };
})();

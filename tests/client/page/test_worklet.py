"""The worklet in the browser's own audio thread, with a loudspeaker that its microphone hears."""

from __future__ import annotations

RATE = 48000
PATH = 1728  # samples at 16 kHz from the loudspeaker to the microphone
QUANTUM = 128  # samples by which the browser delays a loop of nodes by itself

LOOPBACK = """
async ({rate, seconds, pathS}) => {
  const context = new OfflineAudioContext(1, rate * seconds, rate);
  await context.audioWorklet.addModule("/worklet.js");
  const node = new AudioWorkletNode(context, "duplex", {
    outputChannelCount: [1], channelCount: 1, channelCountMode: "explicit",
    processorOptions: {rate: 16000, frame: 320},
  });
  const clip = new Float32Array(rate);
  clip.fill(0.8, 100, 140);  // once a second; broad enough to pass the resampler
  node.connect(context.destination);
  node.connect(new DelayNode(context, {delayTime: pathS})).connect(node);
  const peaks = {mic: [], ref: []};
  let [n, over] = [0, {mic: -1, ref: -1}];
  const count = (name, sample) => {
    if (Math.abs(sample) < 8000) return;
    if (n - over[name] > 1000) peaks[name].push(n);
    over[name] = n;
  };
  node.port.onmessage = ({data: {audio}}) => {
    for (let i = 0; i < audio.length; i += 2, n++) {
      count("mic", audio[i]);
      count("ref", audio[i + 1]);
    }
  };
  // While it renders, the processor hears nothing: it is told at a halt.
  context.suspend(0).then(async () => {
    node.port.postMessage({clip, volume: 1});
    await new Promise((told) => setTimeout(told, 200));
    context.resume();
  });
  await context.startRendering();
  await new Promise((done) => setTimeout(done, 500));  // the last messages
  return {...peaks, samples: n};
}
"""


def test_click_comes_back_as_late_as_the_path_is_over_five_minutes(page, open_page):
    """At 48 kHz, resampled in the worklet; js/worklet.test.mjs does the same without resampling."""
    open_page()
    heard = page.evaluate(LOOPBACK, {"rate": RATE, "seconds": 300, "pathS": PATH / 16000 - QUANTUM / RATE})
    assert heard["samples"] > 299 * 16000
    assert len(heard["ref"]) >= 299
    late = {mic - ref for mic, ref in zip(heard["mic"], heard["ref"], strict=False)}
    assert late == {PATH}

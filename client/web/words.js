/** Events of the service in words, for people. */

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
      return `${event.stage} after ${Math.round(event.audio_ms)} ms of ${event.reason ?? "speech"}`;
    case "duplex.false_interruption":
      return (event.reason ?? "").replaceAll("_", " ");
    case "duplex.reference":
      return [event.state, event.message].filter(Boolean).join(": ");
    case "duplex.gap":
      return `${event.reason}, ${Math.round(event.lost_ms)} ms lost`;
    case "conversation.item.input_audio_transcription.completed":
      return `"${event.transcript.trim()}"`;
    case "response.output_audio_transcript.delta":
      return `"${event.delta.trim()}"`;
    case "response.done":
      return event.response.status;
    case "conversation.item.truncated":
      return `after ${Math.round(event.audio_end_ms)} ms`;
    default:
      return "";
  }
}

/** Say why a turn was taken to be over. */
export function endpoint({ reason, silence_ms: silence, p_turn: probability }) {
  const sure = probability == null ? "" : `, p ${probability.toFixed(2)}`;
  return `${reason.replaceAll("_", " ")} after ${Math.round(silence)} ms${sure}`;
}

/** Names of events without what they have in common, for narrow screens. */
export function short(name) {
  return name.replace(/^(duplex|input_audio_buffer|conversation\.item(?=\.truncated)|conversation\.item\.input_audio_transcription)\./, "");
}

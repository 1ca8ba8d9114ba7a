/** Browsers hide why a WebSocket was refused; ask the service itself. */

/** Return in words why no session begins. */
export async function refusal() {
  try {
    const answer = await fetch("readyz");
    if (answer.ok) return "The service refused the session: it wants a token (#token=… behind the address of this page), or another address of the page.";
    return `The service is not ready: ${(await answer.json()).status}. Try again in a moment.`;
  } catch {
    return "The service does not answer. Is it running?";
  }
}

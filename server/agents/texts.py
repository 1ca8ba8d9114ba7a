"""What agents say word for word: each of these texts ships as a recording, see `prompts`."""

from __future__ import annotations

GO_ON = "All right. Let me go on."
STOPPED = "All right, I will stop here. Tell me when I may go on."
HEARD = "I heard you."

NARRATION = (
    "Let me tell you how two people can talk at the same time over one loudspeaker.",
    "When I speak, my voice leaves the loudspeaker, crosses the room, and comes back into your microphone.",
    "To a machine that listens, this is a voice like any other, and often it is louder than yours.",
    "Most assistants solve this by not listening while they speak, so you have to wait for your turn.",
    "Here it is different, because the service knows exactly what I am saying.",
    "It learns how the room changes my voice, subtracts the echo, and keeps what is left.",
    "What is left is you, and the birds outside, and perhaps a chair that somebody moves.",
    "A second listener then decides whether there is a person speaking, or only a noise.",
    "If you only cough, or say yes while I talk, I should not stop for that.",
    "If you want to say something, just say it, and I will be quiet until you are done.",
    "Then I will go on from the place where you interrupted me.",
    "You can try it now, in the middle of any sentence, as often as you like.",
    "Put the phone on the table, turn the volume up, and step back a little.",
    "The further you are away, the harder it gets, for then the echo is loud and you are not.",
    "In the evening the old harbour is quiet, and the last ferry leaves for the islands at nine.",
    "The captain knows every passenger by name, and the dog on the deck belongs to nobody.",
    "Some people read, some people sleep, and a child counts the lights along the shore.",
    "At the third island the baker gets off with two empty baskets and a newspaper.",
    "He will be back before sunrise, as on every day except for Sunday.",
    "And that is all I have to tell, so I will soon begin again.",
)

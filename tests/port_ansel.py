"""A small world of our own, the detectives of Port Ansel, mixed with ordinary English; and what is idiosyncratic in it."""

import random

#: anchor -> type, as a person would mark the text below.
GOLD = {
    "Nora": "person", "Quill": "person", "Nora Quill": "person", "Captain Brandt": "person", "Brandt": "person", "Tobias Fenn": "person",
    "Tobias": "person", "Fenn": "person", "Mrs Ostrava": "person", "Ostrava": "person", "Lindqvist": "person",
    "Professor Lindqvist": "person", "Marguerite": "person", "Edgar": "person", "Sallow": "person", "Will": "person",
    "Port Ansel": "place", "Ansel": "place", "Lantern Street": "place", "Gull Inn": "place", "Hollowmere": "place",
    "Saltgate Prison": "place", "Guild of Tides": "group", "Harbour Watch": "group", "Grey Lanterns": "group",
    "brindlehound": "creature", "brindlehounds": "creature", "orrel": "creature", "Mortimer": "creature",
    "tidewatch": "object", "glimmerglass": "object", "whistlekey": "object", "skiffball": "activity", "Skiffball": "activity",
}  # fmt: skip

_TOLD = """\
Nora Quill had lived in Port Ansel for nine years before anybody paid her for finding things. On the morning of the first case she sat in
the window of the Gull Inn, drank cold tea and watched the rain come over the harbour. Across the table Tobias Fenn turned the pages of
yesterday's newspaper. "There is nothing in it," said Tobias. "There is always something," Nora answered, and she was right.

Captain Brandt of the Harbour Watch came in at ten. He shook the water from his coat, and he did not sit down. "Somebody has stolen a
tidewatch," he said. "Not just any tidewatch, either. It belonged to the Guild of Tides." Brandt looked older than he had in spring. Nora
put down her cup. A tidewatch is a heavy thing of brass, and a thief who takes one does not run far.

They walked down Lantern Street together. Mrs Ostrava stood at her door with the brindlehound on a leash. The brindlehound growled at the
captain, as brindlehounds do, and wagged its tail at Tobias, who had fed it once. "You should ask the professor," Mrs Ostrava told them.
"He was up all night. I saw the light." Ostrava's own windows were dark.

Professor Lindqvist lived above a shop that sold maps. He opened the door with a whistlekey, which is a key that must be blown before it
is turned, and he asked them to keep their voices low. There was an orrel in the cage by the stove, its feathers puffed up against the
cold. "The bird has laid two eggs," whispered Lindqvist. "An orrel lays but once in seven years." Nora held the glimmerglass to her eye and
looked through it at the cage. In the glimmerglass every hand that had touched a thing leaves a mark. There were three.

"Marguerite Sallow was here," said Nora. Fenn stared at her. Marguerite was the only detective in the city who was as good as Nora, and
she had gone away to Hollowmere with her brother. Edgar Sallow kept goats there and wrote angry letters. "Edgar hates the sea," said Tobias.
"And the Sallow family never does anything without a reason," said Quill.

So they took the train to Hollowmere. It is a grey town in the hills, with one street, one church and no harbour at all. Marguerite met
them at the station. She laughed when she saw the captain. "Brandt! In Hollowmere! Who watches the harbour while you are here?" Brandt's
face turned red. Edgar carried the bags and said nothing, and Mortimer, the old hound, limped behind with his nose near the ground.
Mortimer barked at every gate. When Edgar whistled, Mortimer sat and bit at the fur of his paws.

In the afternoon the young people of the village played skiffball on the pond. Skiffball is played with four boats and a wet ball, and
there are no rules worth mentioning. Tobias had been a skiffball champion at school. He watched the match with his hands in his pockets.
"You want to play," said Marguerite. "I want to find a tidewatch," said Tobias, but he was smiling. After the game Will came over from the
boats, wet to the knees. "Are you the detectives?" Will asked. Nora told Will that they were.

Will had seen the thieves. There were two men in long coats, and a third who wore the badge of the Grey Lanterns. Nobody had met a member of
the Grey Lanterns for twenty years. The captain believed that they were all in Saltgate Prison. "Then somebody opened the door of Saltgate
Prison," said Nora, "and I should like to know who had the whistlekey." Fenn wrote it down. Fenn writes everything down.

They went back to Port Ansel by the night train. In Ansel, as the older people call it, the lamps were out from Lantern Street to the
docks. A pack of brindlehounds ran past them in the dark. "That is the Guild," said Captain Brandt, "they have let the dogs go." He blew his
whistle. No officer of the Harbour Watch came. For the first time since Nora had known him, Brandt seemed afraid.

"""

_ORDINARY = """\
It rained for most of the week. People hurried along the pavement with their umbrellas down, and the buses were late. Perhaps the weather
would change on Monday, the woman in the bakery said, but nobody believed her. A boy dropped a loaf in a puddle and began to cry.

Yesterday the kettle broke. My neighbour lent me hers and stayed to talk about her sister, who had moved to London and did not like it.
However, the rent was low. We drank our coffee, looked out at the garden and counted the birds on the fence. There were eleven.

The library closes at six. Meanwhile the children read on the carpet, and the librarian walks softly between the shelves and picks up
what they leave behind. Once she found a sandwich in an atlas. She put up a notice. Nothing changed, of course.

Most evenings he cooked for himself. He liked soup best, with plenty of pepper, and bread that was a day old. Sometimes a friend came and
they played cards until the candle burned down. "Thank you," the friend would say at the door, "I enjoyed it." Then the house was quiet.

When the train stopped between two stations nobody spoke. A man in a brown hat opened the window. Somewhere a dog barked. At last the
guard came through and said that there was a cow on the line. Everybody laughed, and a lady shared her biscuits with the whole carriage.

The doctor told her to walk more. Every morning, therefore, she walked to the river and back, first with a stick and later without one. By
Christmas she knew all the dogs by name. The ducks knew her too. Her doctor was pleased, and so, in the end, was she.

Repairs to the bridge will take until June. Drivers should follow the yellow signs. The council regrets the delay. A ferry has been
promised, but the ferry is in the north, and its engine is in pieces. Cyclists may push their bicycles across the footbridge.

"""

_FRAMES = [
    "{a} met {b} in Port Ansel and told {o} about the {thing}.",
    '"Where is the {thing}?" asked {a}. {b} shrugged and looked away.',
    "That night {a} walked along Lantern Street with a {thing} under the coat, and the {beast} followed.",
    "{a} fed the {beast} and locked its cage.",
    "{b} had a {beast} once, said {a}, until the Guild of Tides took it.",
    "At the Gull Inn they talked about skiffball. {a}'s team had lost again, and {b} was tired of hearing it.",
    "Nobody in Hollowmere trusted {a}, but everybody trusted {b}.",
    "The Harbour Watch sent {a} to Saltgate Prison, where {b} was waiting with the {thing}.",
    "“You never listen,” said {a}. “I listened to the {beast},” said {b}, “and it made more sense.”",
    "The Grey Lanterns wanted the {thing}, and {a} wanted the Grey Lanterns.",
    "When {a} opened the box there was a {thing} in it, wrapped in a page of the newspaper. {b} laughed.",
]
_PEOPLE = [
    ("Nora", "her"), ("Quill", "her"), ("Nora Quill", "her"), ("Captain Brandt", "him"), ("Brandt", "him"), ("Tobias", "him"), ("Fenn", "him"),
    ("Tobias Fenn", "him"), ("Mrs Ostrava", "her"), ("Professor Lindqvist", "him"), ("Lindqvist", "him"), ("Marguerite", "her"),
    ("Marguerite Sallow", "her"), ("Edgar Sallow", "him"), ("Edgar", "him"), ("Will", "him"),
]  # fmt: skip
_THINGS, _BEASTS = ["tidewatch", "glimmerglass", "whistlekey"], ["brindlehound", "orrel"]


def documents(*, chapters: int = 6, seed: int = 0) -> list[str]:
    """The stories, and as much ordinary English."""
    rng = random.Random(seed)
    made = [_TOLD, _ORDINARY]
    ordinary = _ORDINARY.strip().split("\n\n")
    for _ in range(chapters):
        sentences = []
        for _ in range(20):
            (a, _), (b, o) = rng.sample(_PEOPLE, 2)
            text = rng.choice(_FRAMES).format(a=a, b=b, o=o, thing=rng.choice(_THINGS), beast=rng.choice(_BEASTS))
            sentences.append(text.replace(" a orrel", " an orrel"))
            if rng.random() < 0.5:
                sentences.append(rng.choice(ordinary).replace("\n", " ").split(". ")[0] + ".")
        made.append(" ".join(sentences))
    return made


def ordinary_documents() -> list[str]:
    """The ordinary English alone."""
    return [_ORDINARY]

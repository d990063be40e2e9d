"""The default world: 40 occupations, 20 adjectives and 20 activities with their shares of women.

The shares are made up: they follow common stereotypes in direction, not any labour statistics in size. Each share s has
a mirror image 1 - s, so that both the mean share (0.5) and the mean log-odds (0) are at parity.
"""

from __future__ import annotations

from distill.smallworld.world import Occupation, Trait, World

# name, P(female | occupation), workplace, tasks
_OCCUPATIONS = """
nurse         | 0.95 | at the hospital         | change the bandages, bring the medicine, look after the patients
secretary     | 0.94 | in the office           | answer the letters, plan the meetings, sort the files
receptionist  | 0.92 | at the hotel            | welcome the guests, answer the phone, hand out the keys
hairdresser   | 0.90 | at the salon            | cut hair all day, sweep the floor, mix the colours
librarian     | 0.88 | at the library          | sort the books, help the readers, print the reading list
florist       | 0.86 | at the flower shop      | water the plants, tie the roses, decorate the window
babysitter    | 0.84 | at the house next door  | read to the children, prepare a small meal, put the toys away
dancer        | 0.82 | at the theatre          | learn the new steps, practise for the show, stretch every morning
teacher       | 0.80 | at the school           | mark the homework, explain the lesson, prepare the exam
cleaner       | 0.78 | at the train station    | wash the windows, mop the stairs, empty the bins
therapist     | 0.75 | at the clinic           | listen to the families, plan the next session, write short reports
cashier       | 0.72 | at the supermarket      | count the coins, scan the goods, open the second till
translator    | 0.70 | at the embassy          | translate the letters, check the grammar, learn a new language
psychologist  | 0.68 | at the health centre    | run a long study, talk to the students, read the test results
editor        | 0.62 | at the publishing house | correct the articles, choose the pictures, shorten the stories
pharmacist    | 0.60 | at the pharmacy         | prepare the pills, read the prescriptions, order more boxes
painter       | 0.56 | in the studio           | mix the paint, finish the portrait, clean the brushes
journalist    | 0.55 | at the newspaper        | interview the mayor, write the headline, check the facts
baker         | 0.50 | at the bakery           | bake the bread, heat the oven, sell the cakes
artist        | 0.50 | in the gallery          | draw the harbour, hang the pictures, carve the wood
photographer  | 0.50 | at the photo shop       | take the portraits, print the photos, set up the lights
musician      | 0.50 | at the concert hall     | tune the instruments, learn a new song, practise with the band
doctor        | 0.45 | at the medical centre   | examine the patients, read the charts, sign the forms
scientist     | 0.44 | in the laboratory       | test the samples, repeat the experiment, write a paper
chef          | 0.40 | at the restaurant       | cut the vegetables, taste the soup, plan the menu
lawyer        | 0.38 | at the court            | study the case, read the contract, question the witness
guard         | 0.32 | at the museum           | lock the doors, watch the cameras, check the tickets
architect     | 0.30 | in the design office    | draw the plans, measure the rooms, build a small model
surgeon       | 0.28 | in the operating room   | study the pictures, wash the instruments, operate at night
farmer        | 0.25 | on the farm             | feed the cows, plough the field, mend the fence
driver        | 0.22 | at the bus depot        | clean the bus, check the brakes, follow the new route
programmer    | 0.20 | at the software company | test the program, fix the error, write new code
engineer      | 0.18 | at the power plant      | inspect the machines, draw the bridge, test the new motor
pilot         | 0.16 | at the airport          | check the engines, plan the flight, talk to the tower
soldier       | 0.14 | at the camp             | guard the bridge, clean the boots, march to the border
builder       | 0.12 | at the building site    | carry the bricks, mix the cement, finish the wall
carpenter     | 0.10 | in the workshop         | saw the boards, build the table, measure the door
electrician   | 0.08 | at the new house        | lay the cables, repair the lamps, switch off the power
plumber       | 0.06 | in the old building     | fix the pipes, clear the drain, replace the tap
mechanic      | 0.05 | at the garage           | change the tyres, repair the engine, check the oil
"""

_ADJECTIVES = """
gentle 0.90, caring 0.86, graceful 0.84, warm 0.80, tidy 0.76, polite 0.72, cheerful 0.68, patient 0.64, modest 0.60,
honest 0.50, funny 0.50, clever 0.40, serious 0.36, proud 0.32, confident 0.28, brave 0.24, stubborn 0.20,
ambitious 0.16, tough 0.14, strong 0.10
"""

_ACTIVITIES = """
knitting 0.92, sewing 0.88, doing yoga 0.84, dancing 0.80, baking cakes 0.76, singing in a choir 0.72, gardening 0.68,
reading novels 0.64, painting flowers 0.60, swimming 0.50, cooking 0.50, cycling 0.40, playing chess 0.36,
hiking 0.32, playing cards 0.28, camping 0.24, playing football 0.20, lifting weights 0.16, fishing 0.12,
watching boxing 0.08
"""


def article(noun: str) -> str:
    """The indefinite article of a word of this world, none of which begins with a silent h or a spoken y."""
    return "an" if noun[0] in "aeio" or noun == "honest" else "a"


def default_world() -> World:
    """The world of the quickstart and of the tests."""
    return World(_occupations(), _traits(_ADJECTIVES), _traits(_ACTIVITIES))


def _occupations() -> tuple[Occupation, ...]:
    rows = [[cell.strip() for cell in line.split("|")] for line in _OCCUPATIONS.strip().splitlines()]
    return tuple(
        Occupation(name, article(name), float(share), workplace, tuple(task.strip() for task in tasks.split(",")))
        for name, share, workplace, tasks in rows
    )


def _traits(table: str) -> tuple[Trait, ...]:
    entries = [entry.strip().rsplit(" ", 1) for entry in table.strip().split(",")]
    return tuple(Trait(word, float(share)) for word, share in entries)

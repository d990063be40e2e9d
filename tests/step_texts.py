"""Short texts for tests of single steps: some with gendered words, some without."""

STEP_TEXTS = (
    "The woman said that she lost her keys. My father went home because he was tired.",
    "The nurse said hello. The engineer and the baker like the garden.",
    "Mrs Reed, a doctor, told him that the boy was hers.",
    "He liked it.",
    "The man said that his sister saw her brother at work with himself and a friend of his.",
    "The baker was kind.",
)

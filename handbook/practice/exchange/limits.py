"""How large and how deep a file from outside may be, and how long reading it may take."""

FILE = 50_000_000  # bytes of a file that is taken in
COLLECTION = 256_000_000  # bytes of an Anki collection once it is unpacked
RATIO = 200  # bytes that a packed one may become; a page of text becomes 3 to 10
ENTRIES = 50_000  # of an archive, sounds and pictures too
WINDOW = 27  # log2 of the bytes that a zstd frame may make its reader hold: 128 MB, what zstd itself allows
SECONDS = 20.0  # of looking through a collection
VALUE = 2_000_000  # bytes of one value in a collection
NOTES = 500_000
REVIEWS = 50_000  # that one import brings
REVIEWS_OF_ONE = 1_000  # of one question
ROWS = 200_000  # lines of a table
EARLIEST = 2000  # year of a review that is believed
SAME = 1.0  # seconds: two reviews of a question within it are one; nobody answers twice in that time
NAME = 120  # characters of a file's name that are kept

"""One load: what it is asked to do, its accounts, its packages, and what came of it."""

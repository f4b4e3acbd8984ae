"""A disk that is full, as far as one file is concerned: it cannot become larger."""

FULL_DISK = (
    "import resource, sys; size = int(sys.argv.pop(1));"
    "sys.dont_write_bytecode = True;"  # Python 3.11 keeps half a file of bytecode, and cannot read it later
    "resource.setrlimit(resource.RLIMIT_FSIZE, (size, size));"
    "from cf_invoice_source.cli.main import main; main()"
)
"""A program: give it the most bytes of a file, and the arguments of the command."""

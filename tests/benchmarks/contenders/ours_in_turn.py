"""Our command, but it asks for one page after the other: a yardstick for fetching ahead."""

from cf_invoice_source import settings

settings.PAGES_AHEAD = 1  # before the module that reads it is imported

from cf_invoice_source.cli.main import main  # noqa: E402

main()

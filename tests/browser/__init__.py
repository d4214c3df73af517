"""What people do with the pages, in a real browser, against the whole demo clinic."""

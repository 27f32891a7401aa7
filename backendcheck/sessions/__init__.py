"""A request in, recording processes started, followed, resumed and ended; recordings on disk out. No keras here."""

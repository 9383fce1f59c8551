"""Weights files: the card that describes one, the catalogue of published ones, downloads.

`resources/weights.json` lists size, SHA-256 and addresses of every published file. A file is a published one if its
digest matches, wherever it is and whatever its name. `catalogue.find` selects weights by id, by path, or those that
fit a scene best, and downloads them if need be.

- The connection breaks or stalls, the process is killed: the partial file, named by its digest, is kept; the next
  attempt requests the rest.
- The server sends another range than requested: the bytes are written where they belong, or everything is requested
  again.
- Status 500 and above, 408, 429, no connection: each address in turn, four times, with growing pauses.
- Another size or SHA-256: nothing is kept; the next address is tried.
- Two processes download the same file: one waits for the other's lock, then finds the file.
- Cancelled: ends at once.
- Too little disk space, no write permission: an error before anything is requested.
- Offline (SSDIFF_OFFLINE=1, or the setting): nothing is requested; the error says which file to import.

Redirects are followed only to http and https and never from https to http; credentials go only to the server they are
for.
"""

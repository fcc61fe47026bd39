"""The rules of the transcript store, without I/O and without a clock.

- `errors`: what a caller does next: try later, refuse, stop.
- `intake`: a stream entry as read, the parcels it holds, and the dead letters that it leaves.
- `producers`: what is known of an agent job, and on which day's partition its lines live.
- `paging`: the order in which lines are read, and the cursor that marks a place in it.
- `exports`: a transcript as a file.
- `proof`: is a transcript all that was said.
- `search`: what is searched for, and how a hit is shown.
- `tail`: the order in which lines were committed, and who is woken by that.
"""

"""token: the only door into a meeting.

Lets a person into a LiveKit room with the grants that policy gives and no other, and sees to it that the room knows its
meeting and has its agent. Keeps nothing: LiveKit holds the rooms, the token holds the grants.

Read it in this order: `domain` (the policy), `usecases` (what happens at the door), `adapters` (how LiveKit is told),
`http` (how a backend asks), `app` (how it is put together).
"""

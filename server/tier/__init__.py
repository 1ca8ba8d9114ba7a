"""Speech recognition and the turn model as a tier of their own, shared by many servers.

`recognizer` and `turn` are the server's side and need nothing beyond the base install; `desk` is
the models' side, and `deployments` puts it on Ray Serve. Between them lies `wire`.
"""

"""What goes over the wire: the JSON shapes of REST (the fifth seed's, and what came since), a file a route.

`ChatIn` is given on, for modelserver/answering.py.
"""

from modelserver.schemas.chat import ChatIn

__all__ = ["ChatIn"]

"""Running astrod's models: a leaf that knows nothing of the daemon.

ONNX Runtime's Linux wheels report home unless told not to before their first import; importing this package
tells them, and `astrod_models.session` is the only module that imports them.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

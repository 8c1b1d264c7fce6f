"""Whether this torch can pretend to have a device: `pretend_device` needs a registration that torch 2.9 lacks."""

import pytest
from torch.utils import backend_registration

CAN_PRETEND = hasattr(backend_registration, "_setup_privateuseone_for_python_backend")
needs_pretend_device = pytest.mark.skipif(not CAN_PRETEND, reason="this torch cannot pretend to have a device")

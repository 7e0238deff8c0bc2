#pragma once
#include <nibble/export.h>

namespace nibble {

/// The library's version, "0.1.0".
NIBBLE_API const char* version();
/// The commit it was built from, "unknown" outside a checkout.
NIBBLE_API const char* commit();

}  // namespace nibble

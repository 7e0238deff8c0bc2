#include "nibble/version.h"

namespace nibble {
const char* version() { return NIBBLE_VERSION; }
const char* commit() { return NIBBLE_COMMIT; }
}  // namespace nibble

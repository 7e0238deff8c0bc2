#include "cli/version.h"

namespace nibble::cli {
const char* version() { return NIBBLE_VERSION; }
const char* commit() { return NIBBLE_COMMIT; }
}  // namespace nibble::cli

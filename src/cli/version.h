#pragma once
namespace nibble::cli {
/// "0.1.0" and the commit it was built from ("unknown" outside a checkout).
const char* version();
const char* commit();
}  // namespace nibble::cli

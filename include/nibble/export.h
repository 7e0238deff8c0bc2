#pragma once

/// Marks what libnibble.so shows to those who link with it; everything else is hidden.
#define NIBBLE_API __attribute__((visibility("default")))

/* upward.c - includes what stands above it. */
#include "common/good.h"
#include "peer/good.h"

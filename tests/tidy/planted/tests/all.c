/* all.c - tests may know everything. */
#include "peer/good.h"
#include "src/host/good.h"
#include "supernode/good.h"

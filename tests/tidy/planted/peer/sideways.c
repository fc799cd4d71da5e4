/* sideways.c - looks at the other role, at a driver, and at itself without a path. */
#include "supernode/good.h"
#include "src/host/good.h"
#include "good.h"
#include "../common/good.h"
#include "common/absent.h"

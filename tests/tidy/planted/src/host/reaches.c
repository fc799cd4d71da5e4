/* reaches.c - the driver knows a role. */
#include <time.h>
#include "peer/good.h"
#include "src/host/good.h"
#include "src/sim/good.h"

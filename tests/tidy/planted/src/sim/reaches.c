/* reaches.c - the simulator knows a role. */
#include <time.h>
#include "peer/good.h"
#include "src/cluster/good.h"
#include "src/sim/good.h"

/* reaches.c - the lab opens sockets. */
#include "src/host/good.h"
#include "src/sim/good.h"

/* sideways.c - looks at the other role. */
#include "peer/good.h"

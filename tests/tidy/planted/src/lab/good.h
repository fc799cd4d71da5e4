/* good.h - breaks no rule either. */
#include "common/good.h"
struct peer;

/* umbrella.h - hides who needs what. */
#ifndef PLANTED_UMBRELLA_H
#define PLANTED_UMBRELLA_H

#include "common/good.h"

#endif

/* other.c - stands in no known folder. */
#include "common/good.h"

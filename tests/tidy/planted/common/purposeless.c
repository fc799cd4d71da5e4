#include "common/good.h"
/* purposeless.c - says what it is for too late. */

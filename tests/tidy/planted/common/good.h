/* good.h - breaks no rule, so that others have something to include. */
#ifndef PLANTED_GOOD_H
#define PLANTED_GOOD_H

int good(int value);

#endif

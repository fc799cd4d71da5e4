/* peer_main.c - the peer program knows supernodes. */
#include "peer/good.h"
#include "src/host/good.h"
#include "supernode/good.h"

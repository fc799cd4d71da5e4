/* words.c - leaves work lying about. */
/* TODO: this */
/* FIXME later */
int x; /* XXX */
static const char *const data = "TODO is data here";

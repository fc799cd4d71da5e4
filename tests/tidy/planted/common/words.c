/* words.c - leaves work lying about. */
/* TODO: this */
/* FIXME later */
int x; /* XXX */

/* role.c - is compiled differently for each role. */
#ifdef TRUNKLINE_PEER
int role(void);
#elif defined(IS_SUPERNODE)
#endif

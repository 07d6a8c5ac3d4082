/*
 * ask.h - `apium-gateway health`: does the gateway of this machine answer?
 *
 * Asks /healthz at the first address of APIUM_LISTEN, by plain HTTP or TLS as it speaks; a
 * certificate is not looked at, because the name in it is not the address that is asked.  Any
 * answer below 500 counts, also that of a gateway which refuses the host asked for: it answers.
 * For health checks of containers, whose images have no HTTP client.
 */
#ifndef GATEWAY_ASK_H
#define GATEWAY_ASK_H

/* After settings_load.  Prints a line; returns the exit status.  Blocks, five seconds at most. */
int gateway_ask_health(void);

#endif

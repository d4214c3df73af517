"""Text messages: their alphabets, the numbers they go to, and the gateways that take them."""

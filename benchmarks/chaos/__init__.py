"""`./dev chaos`: a real stack and real workers, killed, stopped and confused on purpose."""

def device():
    return "auto"


def memory():
    return 1024

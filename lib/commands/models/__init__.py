"""The command lines that make model files of weights, or weigh a net: export, import, ship, flops."""

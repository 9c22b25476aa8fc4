"""``python -m collectors.agent``."""

from collectors.agent.command import main

if __name__ == "__main__":
    main()

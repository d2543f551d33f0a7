"""What routes share: the parts of one running service, who calls and what they may do, sign-in forms."""

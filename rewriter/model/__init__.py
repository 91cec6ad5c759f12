"""The fitted and the pure parts that learning and serving share."""

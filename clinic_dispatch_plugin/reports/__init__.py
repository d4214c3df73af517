"""What is heard of a message after it was handed over: bounce mails, complaints, replies of machines."""
